"""What each number means, and how a question for numbers is answered."""
