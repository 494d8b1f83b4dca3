"""Which names promise an image. The content decides what a file is; its name decides whether a loss must be told."""

from __future__ import annotations

# Formats that gmixer reads or recognizes, and common ones that it does not: such a file is an image that is lost. An
# SVG, a PDF or a video promises no pixels.
IMAGE_ENDINGS = frozenset(
    [
        *("jpg", "jpeg", "jpe", "jfif", "pjpeg", "pjp"),
        *("png", "apng", "webp", "avif", "avifs", "tif", "tiff", "bmp", "dib", "gif"),
        *("ppm", "pgm", "pbm", "pnm"),
        *("heic", "heif", "heics", "heifs", "hif", "jxl", "jp2", "j2k", "jpx", "jpf", "j2c"),
        *("psd", "psb", "exr", "hdr", "tga", "ico", "icns", "pcx", "dds", "qoi"),
        *("dng", "cr2", "cr3", "crw", "nef", "nrw", "arw", "orf", "rw2", "raf", "pef", "srw"),  # raw files of cameras
    ]
)


def is_called_image(name: str) -> bool:
    """Whether a file's name ends like an image's, in any case: `a/b.JPG`, `photos.tar::cat.heic`."""
    stem, dot, ending = name[name.rfind("/") + 1 :].rpartition(".")
    return bool(dot and stem) and ending.strip().lower() in IMAGE_ENDINGS
