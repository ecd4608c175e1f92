"""Settings of the environment, the policy file, and the files of codes and positions."""
