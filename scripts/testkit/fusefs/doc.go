// Package fusefs mounts file systems that a test serves itself, by FUSE. It works on
// Linux, for a root user that may mount.
//
// No test may map a file of such a file system into its own memory. The garbage collector
// cannot stop a goroutine that waits for a page, and the server of that page is stopped
// already. So have another process map the file.
package fusefs
