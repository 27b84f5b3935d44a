"""`python -m keras_split` is the program `keras-split`."""

from keras_split.cli import main

if __name__ == "__main__":
    main(prog_name="keras-split")
