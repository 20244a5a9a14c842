"""What is counted and timed, over days and over all that there is."""
