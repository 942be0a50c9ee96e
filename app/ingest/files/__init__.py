"""History from files: rows become events by a mapping, and go through the same door as everything else."""
