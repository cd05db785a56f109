"""Where the ultrasound lies in a scanner's picture, and the cut that leaves nothing else."""
