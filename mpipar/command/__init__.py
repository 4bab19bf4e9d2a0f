"""What the user meets: command lines, progress, reports. Imports all layers under it."""
