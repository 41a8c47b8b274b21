"""Output for people: tables and progress."""
