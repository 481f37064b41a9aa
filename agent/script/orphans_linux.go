package script

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// orphanLook is how often orphans are looked for without a signal: signals of
// children that end in one moment are one signal.
const orphanLook = 10 * time.Second

// ReapOrphans takes the exit status of processes that this one got from others,
// until ctx ends. Process 1, which the agent is in a container, gets each
// process whose parent has ended, such as what a script left in the background;
// dead ones stay in the table of processes until somebody takes their status.
func ReapOrphans(ctx context.Context, logger *slog.Logger) error {
	if os.Getpid() != 1 {
		return nil
	}
	return reapOrphans(ctx, "/proc", logger)
}

// reapOrphans works on the processes that are listed in a folder like /proc.
func reapOrphans(ctx context.Context, proc string, logger *slog.Logger) error {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	defer signal.Stop(ended)
	look := time.NewTicker(orphanLook)
	defer look.Stop()
	for {
		if n, err := children.reapOthers(proc); err != nil {
			logger.Error("orphaned processes cannot be looked for", "error", err)
			return nil // no reason to end the agent
		} else if n > 0 {
			logger.Debug("orphaned processes have ended", "processes", n)
		}
		select {
		case <-ended:
		case <-look.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// reapOthers takes the exit status of each dead child that this program did not
// start, and counts them. Those that it did start have somebody who waits. Not
// wait4(-1): that would take theirs too.
func (c *childSet) reapOthers(proc string) (n int, err error) {
	stats, err := filepath.Glob(filepath.Join(proc, "[0-9]*", "stat"))
	if err == nil && len(stats) == 0 {
		err = fmt.Errorf("%s lists no processes", proc)
	}
	if err != nil {
		return 0, err
	}
	self := os.Getpid()
	c.mu.Lock() // none is started meanwhile
	defer c.mu.Unlock()
	for _, path := range stats {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil || c.pids[pid] || !deadChild(path, self) {
			continue
		}
		if got, err := syscall.Wait4(pid, nil, syscall.WNOHANG, nil); err == nil && got == pid {
			n++
		}
	}
	return n, nil
}

// deadChild reads from a process's stat file whether it is a zombie of parent's.
// The file is "PID (NAME) STATE PARENT ...", where NAME may hold anything.
func deadChild(stat string, parent int) bool {
	data, err := os.ReadFile(stat)
	if err != nil {
		return false // it is gone
	}
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	return len(fields) > 1 && string(fields[0]) == "Z" && string(fields[1]) == strconv.Itoa(parent)
}
