package agent

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/memberlist"

	"agentctl/handler/journal"
	"agentctl/handler/journal/disk"
)

// openJournal opens the journal, in the data directory where there is one.
func (a *Agent) openJournal() error {
	o := a.opts
	limits := journal.Config{
		MaxEvents:  o.JournalMaxEvents,
		MaxAge:     o.JournalMaxAge,
		MaxPending: o.QueueMaxEvents,
	}
	if o.DataDir == "" {
		a.journal = journal.New(limits)
		a.logger.Info("the journal is in memory: what waits for a target when the agent ends is lost, and so is what the cluster sends until it is back; -data-dir keeps it")
		return nil
	}
	start := time.Now()
	disk, err := disk.Open(disk.Config{
		Dir: o.DataDir, Limits: limits, Logger: a.logger, Metrics: a.registry,
	})
	if err != nil {
		return fmt.Errorf("%s: %w", o.Label("data-dir"), err)
	}
	a.journal, a.disk = disk.Journal, disk
	seq, ltime := disk.Durable()
	a.lastLTime, a.returning = ltime, !disk.Begun()
	if seq == 0 && len(disk.Targets()) == 0 { // new, or begun by a process that came no further
		if _, err := os.Stat(o.SnapshotPath); err == nil {
			a.returning, a.bereft = true, true
			a.logger.Warn("the journal is new, and this node is not: what waited for its targets is not known, so each is flushed once", "data_dir", o.DataDir)
		}
	}
	a.logger.Info("the journal is open", "data_dir", o.DataDir, "events", disk.Status().Retained,
		"newest", seq, "ltime", ltime, "took", time.Since(start).Round(time.Millisecond))
	return nil
}

// noJournal is why targets have a gap where the journal is gone.
const noJournal = "the journal was begun anew: what waited in the one before is not known"

// keepKeyring begins the keyring file in the data directory, which serf only
// writes when the keys change.
func (a *Agent) keepKeyring(ring *memberlist.Keyring, path string) error {
	if path == "" || path == a.opts.KeyringFile {
		return nil
	}
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return writeKeyring(path, ring)
	}
	if err != nil || a.opts.EncryptKey == "" {
		return err
	}
	if primary := base64.StdEncoding.EncodeToString(ring.GetPrimaryKey()); primary != a.opts.EncryptKey {
		a.logger.Warn("the keys in the data directory are used, not the one given: they have been changed since; to begin anew with the given key, move the file away", "file", path)
	}
	return nil
}

// writeKeyring writes keys as serf does, the primary one first.
func writeKeyring(path string, ring *memberlist.Keyring) error {
	var keys []string
	for _, k := range ring.GetKeys() {
		keys = append(keys, base64.StdEncoding.EncodeToString(k))
	}
	data, err := json.MarshalIndent(keys, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(path, data)
}

// replaceFile writes a file of its owner's only, so that a reader finds the old
// text or the new one, also after a power cut.
func replaceFile(path string, data []byte) (err error) {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync() // else the name may be on the disk before the text is
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return disk.SyncDir(filepath.Dir(path))
}
