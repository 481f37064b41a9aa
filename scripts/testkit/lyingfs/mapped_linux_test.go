package lyingfs

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"agentctl/scripts/testkit"
)

const mappedEnv = "AGENTCTL_TEST_MAPPED_FILE"

// TestMapper is not a test by itself: TestMappedFileSeesTheTruth runs it in processes of
// their own. It maps a file, does what it is told, and says what the map shows then.
func TestMapper(t *testing.T) {
	path := os.Getenv(mappedEnv)
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := syscall.Mmap(int(f.Fd()), 0, 3, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		err := error(nil)
		if what, text, _ := strings.Cut(lines.Text(), " "); what == "write" {
			_, err = f.WriteAt([]byte(text), 0)
		} else if what == "sync" {
			err = f.Sync()
		}
		fmt.Printf("shown: %s %v\n", shown, err)
	}
}

// mapper runs TestMapper. The result tells it what to do, and returns what the map shows.
func mapper(t *testing.T, path string) func(what string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestMapper$")
	cmd.Env = append(os.Environ(), mappedEnv+"="+path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait() // it was killed: that is its error
	})
	lines := bufio.NewScanner(out)
	return func(what string) string {
		t.Helper()
		if _, err := io.WriteString(in, what+"\n"); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			if shown, ok := strings.CutPrefix(lines.Text(), "shown: "); ok {
				return shown
			}
		}
		t.Fatal("the process that maps the file ended")
		return ""
	}
}

// The kernel keeps the pages of a file that is mapped. A process that starts after a crash
// must not see them, even if one from before still has them.
func TestMappedFileSeesTheTruth(t *testing.T) {
	t.Parallel()
	fs, dir := mountHere(t)
	s := steps{t, dir}
	s.write("f", "old")
	s.sync("f", ".")
	before := mapper(t, filepath.Join(dir, "f"))
	testkit.Want(t, "at first", before("look"), "old <nil>")
	testkit.Want(t, "once written", before("write new"), "new <nil>")
	beside := mapper(t, filepath.Join(dir, "f"))
	testkit.Want(t, "for another process", beside("look"), "new <nil>")
	fs.Crash(0)
	after := mapper(t, filepath.Join(dir, "f"))
	testkit.Want(t, "after the crash", after("look"), "old <nil>")
	before("write xxx")
	before("sync")
	testkit.Want(t, "when the old process writes and syncs", after("look"), "old <nil>")
	testkit.Want(t, "once written anew", after("write two"), "two <nil>")
	after("sync")
	fs.Crash(0)
	testkit.Want(t, "after another crash", mapper(t, filepath.Join(dir, "f"))("look"), "two <nil>")
}
