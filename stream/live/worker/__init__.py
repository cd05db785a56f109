"""The worker: newest frame in, one engine run, result out."""
