"""What `ci/same` is made of: the study both commits run, and what of it has to be alike."""
