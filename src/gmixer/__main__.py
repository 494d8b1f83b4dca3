"""`python -m gmixer` is the `gmixer` command."""

from gmixer.cli import main

if __name__ == "__main__":
    main()
