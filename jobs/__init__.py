"""PySpark jobs: one file a job, each an argument parser, pure transforms and a short main."""
