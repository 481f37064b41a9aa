//go:build linux

package attack

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
)

// fileTrials are those of a user of the same machine who can make files where an agent
// keeps its own, or can read them.
var fileTrials = []trial{
	{way: onDisk, name: "symbolic links in the data directory", aim: "files", bitBefore: true,
		do: func(s *stand) {
			for _, name := range planted {
				dir := s.path("planted-" + name)
				s.mkdir(dir, 0o700)
				testkit.WriteTo(s.t, s.path("behind-"+name), precious)
				if err := os.Symlink(s.path("behind-"+name), filepath.Join(dir, name)); err != nil {
					s.t.Fatal(err)
				}
				n, err := s.tryStart("planted-"+name, "-data-dir="+dir, "-encrypt="+proc.FirstKey)
				if err != nil {
					continue // it refuses to start
				}
				s.finish(n)
			}
		},
		bit: func(s *stand) string {
			var written []string
			for _, name := range planted {
				if text, err := os.ReadFile(s.path("behind-" + name)); err != nil || string(text) != precious {
					written = append(written, name)
				}
			}
			return achieved("overwrites the file behind %s", written)
		}},
	{way: onDisk, name: "reading the data directory", aim: "files", bitBefore: true,
		do: func(*stand) {},
		bit: func(s *stand) string {
			var open []string
			files, err := os.ReadDir(s.path("receiver"))
			if err != nil || len(files) < 4 {
				s.t.Fatalf("files: %v, %v", files, err)
			}
			for _, f := range files {
				if info, err := f.Info(); err == nil && info.Mode()&0o077 != 0 {
					open = append(open, fmt.Sprintf("%s (%v)", f.Name(), info.Mode()))
				}
			}
			return achieved("all users can read %s", open)
		}},
	{way: onDisk, name: "a directory and keys that all users can change", aim: "files", bitBefore: true,
		do: func(s *stand) {
			dir, keys := s.path(openDir), s.path(openKeys)
			s.mkdir(dir, 0o777)
			testkit.WriteTo(s.t, keys, `["`+proc.FirstKey+`"]`)
			if err := os.Chmod(keys, 0o666); err != nil {
				s.t.Fatal(err)
			}
			s.finish(s.start(unwarned, "-data-dir="+dir, "-keyring-file="+keys))
		},
		bit: func(s *stand) string {
			printed := s.printed(unwarned)
			var silent []string
			for _, file := range []string{openDir, openKeys} {
				warned := false
				for line := range strings.Lines(printed) {
					warned = warned || strings.Contains(line, "level=WARN") && strings.Contains(line, s.path(file))
				}
				if !warned {
					silent = append(silent, file)
				}
			}
			return achieved("uses %s without a warning", silent)
		}},
}

// planted are files that an agent makes in its data directory, or replaces by way of a
// new one.
var planted = []string{"owner.pid", "serf.snapshot", "serf.snapshot.compact", "repair.state.new", "repair.record.new", "members.json.new"}

const (
	precious = "precious" // what a file has that nobody may write to

	openDir, openKeys = "open-directory", "open-keys"
	unwarned          = "unwarned" // the agent that is given these
)

func (s *stand) mkdir(dir string, mode os.FileMode) {
	s.t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Chmod(dir, mode); err != nil { // whatever the umask
		s.t.Fatal(err)
	}
}

// printed is what a further agent of the stand has printed.
func (s *stand) printed(name string) string {
	s.t.Helper()
	var all string
	for _, end := range []string{".out", ".err"} {
		text, err := os.ReadFile(s.path(name + end))
		if err != nil {
			s.t.Fatal(err)
		}
		all += string(text)
	}
	return all
}

// finish ends an agent as a service manager does.
func (s *stand) finish(n *proc.Node) {
	s.t.Helper()
	if err := n.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	if _, err := n.Exit(); err != nil {
		s.t.Fatal(err)
	}
}
