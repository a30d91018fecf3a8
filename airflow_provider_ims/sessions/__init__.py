"""Where tokens and sessions are kept between tasks, and how only one worker of a host renews them."""
