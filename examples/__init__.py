"""What shows the stack at work."""
