"""What a host's hooks put into a conversation by themselves, and what they ask for it."""
