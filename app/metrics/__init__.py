"""What each metric means and how a question is answered."""
