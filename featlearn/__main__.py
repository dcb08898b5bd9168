"""``python -m featlearn``: the command line."""

from featlearn.cli import main

if __name__ == "__main__":
    main()
