//! Text to expressions and questions.
