"""From files to samples: readers, preprocessing, splits."""
