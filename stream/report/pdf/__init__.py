"""The report as a PDF for print, drawn with reportlab."""
