"""Real guests for QEMU: a distribution's own cloud kernel, and an initramfs of busybox and dropbear built here."""
