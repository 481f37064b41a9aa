//go:build unix

package gossip

import (
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/agent/files"
	"agentctl/scripts/testkit"
)

// Serf shortens its snapshot again and again, through links and with modes for everybody.
// With a SnapshotFile it does neither.
func TestSnapshotStaysPrivate(t *testing.T) {
	for _, prepared := range []bool{false, true} {
		t.Run(fmt.Sprint("prepared=", prepared), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				path, victim := filepath.Join(dir, "serf.snapshot"), filepath.Join(dir, "victim")
				if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
					t.Fatal(err)
				}
				plant := func() {
					t.Helper()
					os.Remove(path + compactExt)
					if err := os.Symlink(victim, path+compactExt); err != nil {
						t.Fatal(err)
					}
				}
				plant()
				logger, logged := testkit.NewLog()
				file := &SnapshotFile{Path: path, Own: true, Logger: logger}
				if prepared {
					if err := file.Prepare(); err != nil {
						t.Fatal(err)
					}
					go file.Run(t.Context())
				}
				shutdown := make(chan struct{})
				clock := new(serf.LamportClock)
				in, snapshot, err := serf.NewSnapshotter(path, 128<<10, false, log.New(new(testkit.LogBuffer), "", 0), clock, nil, shutdown)
				if err != nil {
					t.Fatal(err)
				}
				// More than the least size at which it is shortened.
				shorten := func(from int) {
					for i := range 8_000 {
						in <- serf.UserEvent{LTime: serf.LamportTime(from + i)}
						if i%500 == 0 {
							synctest.Wait() // serf drops what it cannot keep up with
						}
					}
					time.Sleep(2 * snapshotLook)
				}
				shorten(1_000_000)
				if prepared {
					plant()
					time.Sleep(2 * snapshotLook)
					shorten(2_000_000)
				}
				close(shutdown)
				snapshot.Wait()
				data, err := os.ReadFile(victim)
				if err != nil || (string(data) == "precious") != prepared {
					t.Errorf("the victim has %.40q, %v", data, err)
				}
				info, err := os.Lstat(path)
				if err != nil || (info.Mode() == 0o600) != prepared {
					t.Errorf("the snapshot is %v, %v", info, err)
				}
				if n := logged.Count("level=ERROR", "such as a symbolic link", path); prepared && n != 2 {
					t.Errorf("%d lines: %s", n, logged)
				}
			})
		})
	}
}

// A link in the place of the agent's own snapshot is refused; one that an operator names
// is not.
func TestSnapshotLink(t *testing.T) {
	dir := t.TempDir()
	path, to := filepath.Join(dir, "link"), filepath.Join(dir, "file")
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
	own := &SnapshotFile{Path: path, Own: true, Logger: slog.New(slog.DiscardHandler)}
	err := own.Prepare()
	if _, ok := errors.AsType[*files.NotOwnError](err); !ok || !strings.Contains(err.Error(), path) {
		t.Errorf("own: %v", err)
	}
	if _, err := os.Stat(to); err == nil {
		t.Error("a file was made through the link")
	}
	named := &SnapshotFile{Path: path, Logger: own.Logger}
	if err := named.Prepare(); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(to); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	device := &SnapshotFile{Path: os.DevNull, Logger: own.Logger}
	if err := device.Prepare(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(os.DevNull + compactExt); err == nil {
		t.Error("a file was made beside a device")
	}
}
