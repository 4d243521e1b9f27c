//go:build unix

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// isGone says whether whoever read the pipe f has closed it.
func isGone(f *os.File) bool {
	fds := []unix.PollFd{{Fd: int32(f.Fd())}} //nolint:gosec // descriptors are small
	n, err := unix.Poll(fds, 0)
	return err == nil && n == 1 && fds[0].Revents&unix.POLLERR != 0
}
