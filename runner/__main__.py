"""`python -m runner` is `keitaro-runner`."""

from runner.cli import main

if __name__ == "__main__":
    main()
