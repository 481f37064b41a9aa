//go:build unix

package script

import (
	"context"
	"os/exec"
	"syscall"
)

// shellCommand runs command by the shell in a process group of its own, which
// is killed as a whole when ctx ends.
func shellCommand(ctx context.Context, command string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}
