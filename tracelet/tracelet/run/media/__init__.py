"""Media: texts, tables, histograms, images and figures, each a file under the run's folder.

NumPy and Pillow do the work if they can be imported; everything but arrays also works without them.
"""
