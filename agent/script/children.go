package script

import (
	"os/exec"
	"sync"
)

// children are the processes that this program has started and waits for. They
// are told apart from orphans, which a process 1 gets and nobody waits for.
var children = childSet{pids: map[int]bool{}}

type childSet struct {
	mu   sync.Mutex // held while a process is started
	pids map[int]bool
}

// run is cmd.Run.
func (c *childSet) run(cmd *exec.Cmd) error {
	c.mu.Lock()
	err := cmd.Start()
	if err == nil {
		c.pids[cmd.Process.Pid] = true
	}
	c.mu.Unlock()
	if err != nil {
		return err
	}
	err = cmd.Wait()
	c.mu.Lock()
	delete(c.pids, cmd.Process.Pid)
	c.mu.Unlock()
	return err
}
