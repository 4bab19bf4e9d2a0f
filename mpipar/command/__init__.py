"""What the user meets: command lines and progress."""
