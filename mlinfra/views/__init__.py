"""What people and programs see: the only code that prints, one view for each of them."""
