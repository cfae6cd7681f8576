"""``python -m naq`` is the command ``naq``."""

from naq.cli import main

if __name__ == "__main__":
    main()
