//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tick is the unit of times in /proc.
const tick = time.Second / 100

// process is an agent that runs, with its scripts in a process group of their
// own.
type process struct {
	cmd  *exec.Cmd
	log  string // path of what it prints
	done chan struct{}
}

// startProcess starts a program. It does not outlive this one, not even if this
// one is killed.
func startProcess(log, program string, args ...string) (*process, error) {
	f, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p := &process{cmd: exec.Command(program, args...), log: log, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = f, f
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		p.cmd.Wait() // how it ended is of no interest: it is killed
	}()
	return p, nil
}

// ended reports whether the process has ended.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// kill ends the process and the scripts that it runs.
func (p *process) kill() {
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // there may be none left
	<-p.done
}

// printed is what the process has printed so far.
func (p *process) printed() string {
	text, _ := os.ReadFile(p.log)
	return string(text)
}

// usage is what processes have used.
type usage struct {
	cpu       time.Duration // user and system, also of children that have ended
	rss, peak float64       // resident memory in MiB, now and at its highest, of the largest one
	own       float64       // of rss, without the pages of the program's file, which all its processes share
	faults    int           // pages that had to be mapped, without those of children
}

func (p *process) usage() (usage, error) {
	pid := strconv.Itoa(p.cmd.Process.Pid)
	stat, err1 := os.ReadFile("/proc/" + pid + "/stat")
	status, err2 := os.ReadFile("/proc/" + pid + "/status")
	if err := errors.Join(err1, err2); err != nil {
		return usage{}, err
	}
	return parseUsage(string(stat), string(status))
}

// parseUsage reads /proc/PID/stat and /proc/PID/status.
func parseUsage(stat, status string) (u usage, err error) {
	// The second field is the program's name between parentheses, and may have
	// anything in it; the third comes after the last of them.
	_, rest, ok := cutLast(stat, ")")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 15 {
		return usage{}, fmt.Errorf("/proc/PID/stat has an unknown form: %q", stat)
	}
	for _, f := range fields[11:15] { // utime, stime, cutime, cstime
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return usage{}, fmt.Errorf("/proc/PID/stat: %w", err)
		}
		u.cpu += time.Duration(n) * tick
	}
	if u.faults, err = strconv.Atoi(fields[7]); err != nil {
		return usage{}, fmt.Errorf("/proc/PID/stat: %w", err)
	}
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(line, ":")
		into := map[string]*float64{"VmRSS": &u.rss, "VmHWM": &u.peak, "RssAnon": &u.own}[name]
		if into == nil {
			continue
		}
		kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 64)
		if err != nil {
			return usage{}, fmt.Errorf("/proc/PID/status: %w", err)
		}
		*into = kib / 1024
	}
	if u.peak == 0 {
		return usage{}, errors.New("/proc/PID/status has no VmHWM: the process has ended")
	}
	return u, nil
}

// cutLast is strings.Cut around the last sep.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
