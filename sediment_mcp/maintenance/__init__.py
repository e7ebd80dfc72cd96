"""What a user runs by hand: doctor, restore from a backup, salvage of a damaged database."""
