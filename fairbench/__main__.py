"""`python -m fairbench`: the command line, also for `accelerate launch -m fairbench`."""

from fairbench.cli import main

if __name__ == "__main__":
    main()
