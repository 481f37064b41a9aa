package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/handler/journal/disk"
)

// aJournal makes a journal on disk with two events, one of which waits for a
// target and the other for none.
func aJournal(t *testing.T) (dir string, d *disk.Disk) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	d, err := disk.Open(disk.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	fs, err := handler.ParseFilters("user:kong")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Cursor("kong", journal.CursorConfig{Filters: fs}); err != nil {
		t.Fatal(err)
	}
	if err := d.Append(handler.NewUser(7, "kong", []byte("x"), time.Time{}), handler.NewUser(9, "other", nil, time.Time{})); err != nil {
		t.Fatal(err)
	}
	return dir, d
}

// check runs "agentctl check".
func check(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, errs strings.Builder
	cmd := exec.CommandContext(t.Context(), "agentctl", append([]string{"check"}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestCheckJournal(t *testing.T) {
	t.Parallel()
	dir, d := aJournal(t)
	if out, errs, status := check(t, "-data-dir="+dir); status != 1 || out != "" || !strings.Contains(errs, "is in use by process") ||
		!strings.Contains(errs, `"agentctl status" shows`) {
		t.Errorf("in use: status %d\n%s%s", status, out, errs)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	out, errs, status := check(t, "-data-dir="+dir)
	if status != 0 || errs != "" {
		t.Errorf("sound: status %d, %s", status, errs)
	}
	for _, want := range []string{
		"journal   " + filepath.Join(dir, "journal.db"),
		"events    2, numbers 1 to 2; the newest ever is 2, the highest Lamport time 9\n",
		"\nkong    1        0       0     -           user:kong\n",
		"\nthe journal is sound\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "gossip on") {
		t.Errorf("a configuration that nobody gave is told:\n%s", out)
	}
	if out, _, status := check(t, "-data-dir="+dir, "-node=n"); status != 0 || !strings.Contains(out, "node      n, ") || !strings.Contains(out, "the journal is sound") {
		t.Errorf("both: status %d\n%s", status, out)
	}
	if out, errs, status := check(t, "-data-dir="+dir, "-profile=moon"); status != exitConfig || !strings.Contains(errs, "moon") || !strings.Contains(out, "the journal is sound") {
		t.Errorf("both, with a wrong configuration: status %d\n%s%s", status, out, errs)
	}
	var result struct {
		Configuration struct {
			OK      bool
			Summary []string
		}
		Journal struct {
			OK      bool
			Events  int
			Targets []disk.TargetReport
		}
	}
	out, _, _ = check(t, "-data-dir="+dir, "-node=n", "-format=json")
	if err := json.Unmarshal([]byte(out), &result); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if c, j := result.Configuration, result.Journal; !c.OK || len(c.Summary) == 0 || !j.OK || j.Events != 2 || len(j.Targets) != 1 || j.Targets[0].Waiting != 1 {
		t.Errorf("in JSON: %s", out)
	}
}

func TestCheckDamagedJournal(t *testing.T) {
	t.Parallel()
	dir, d := aJournal(t)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "journal.db")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(data), "kong")
	data = []byte(strings.ReplaceAll(string(data), "other", "ather"))
	if at < 0 || os.WriteFile(path, data, 0o600) != nil {
		t.Fatal("the journal cannot be damaged")
	}
	out, errs, status := check(t, "-data-dir="+dir)
	if status != exitConfig || !strings.Contains(errs, "agentctl check: "+path+": event 2: ") || !strings.Contains(errs, "restore the file, or move") ||
		!strings.Contains(out, "events    1, ") || strings.Contains(out, "sound") {
		t.Errorf("damaged: status %d\n%s%s", status, out, errs)
	}
	out, _, status = check(t, "-data-dir="+dir, "-format=json")
	if status != exitConfig || !strings.Contains(out, `"ok":false`) || !strings.Contains(out, `"problems":["event 2: `) {
		t.Errorf("damaged, in JSON: status %d\n%s", status, out)
	}
	if out, _, _ := check(t, "-data-dir="+t.TempDir(), "-format=json"); !strings.Contains(out, `"targets":[]`) {
		t.Errorf("nothing there, in JSON: %s", out)
	}
	if _, errs, status := check(t, "-data-dir="+t.TempDir()); status != 1 || !strings.Contains(errs, "no journal: ") {
		t.Errorf("nothing there: status %d, %s", status, errs)
	}
	if _, errs, status := check(t, "-data-dir="+dir, "-format=xml"); status != exitConfig || !strings.Contains(errs, `"xml" is neither text nor json`) {
		t.Errorf("a format that there is not: status %d, %s", status, errs)
	}
}
