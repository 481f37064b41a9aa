package script

import (
	"context"
	"os/exec"
)

// shellCommand runs command by the shell; the shell is killed when ctx ends.
func shellCommand(ctx context.Context, command string) *exec.Cmd {
	return exec.CommandContext(ctx, "cmd", "/C", command)
}
