package gossip

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"agentctl/agent/files"
)

const (
	// compactExt is serf's: it writes a shorter snapshot beside the old one, and renames it.
	compactExt = ".compact"
	// snapshotLook is how often the files of the snapshot are looked at. Serf shortens a
	// snapshot when it has grown to 128 KiB, which takes some 6,000 events.
	snapshotLook = 10 * time.Second
)

// SnapshotFile keeps serf's snapshot private. Serf makes it and the file of the next one
// with modes for everybody, and writes through symbolic links. It does not if the files
// are there already, so they are made beforehand, with mode 0600.
type SnapshotFile struct {
	Path string // "" for none
	// Own says that the agent chose the path, which then has to be no link. An operator
	// may name a link.
	Own    bool
	Logger *slog.Logger
}

// Prepare makes the files before serf opens them.
func (s *SnapshotFile) Prepare() error {
	if s.Path == "" {
		return nil
	}
	open := os.OpenFile
	if s.Own {
		open = files.OpenOwn
	}
	if info, err := os.Stat(s.Path); err == nil && !info.Mode().IsRegular() && !s.Own {
		return nil // such as a device
	}
	f, err := open(s.Path, os.O_RDWR|os.O_CREATE, 0o600)
	switch {
	case err != nil && s.Own:
		return err
	case err != nil:
		return nil // serf cannot open it either, and says so
	}
	err = f.Chmod(0o600)
	if !s.Own && errors.Is(err, fs.ErrPermission) {
		err = nil // it is another user's, and writable
	}
	s.look()
	return errors.Join(err, f.Close())
}

// Run makes the files private again after serf has shortened the snapshot.
func (s *SnapshotFile) Run(ctx context.Context) error {
	if s.Path == "" {
		return nil
	}
	tick := time.NewTicker(snapshotLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.look()
		}
	}
}

// look sees to it that the file of the next snapshot is there, and private. If it cannot be
// made, serf cannot make it either, and says so. Serf may have shortened the snapshot
// twice since the last look, and then made the second file itself.
func (s *SnapshotFile) look() {
	if info, err := os.Lstat(s.Path); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		_ = os.Chmod(s.Path, 0o600)
	}
	next := s.Path + compactExt
	info, err := os.Lstat(next)
	if err == nil && !info.Mode().IsRegular() {
		s.Logger.Error("in the place of serf's next snapshot there was something else, such as a symbolic link: removed", "file", next, "mode", info.Mode().String())
		if os.Remove(next) != nil {
			return
		}
		err = fs.ErrNotExist
	}
	if errors.Is(err, fs.ErrNotExist) {
		if f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err == nil {
			_ = f.Close()
		}
		return
	}
}
