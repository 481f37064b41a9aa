package agent

import (
	"cmp"
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

// What -data-dir holds beside the journal.
const (
	snapshotFile = "serf.snapshot"
	keyringFile  = "serf.keyring"
)

// openJournal opens the journal, in the data directory where there is one.
func (a *Agent) openJournal() error {
	o := &a.opts
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
		return fmt.Errorf("%s: %w", o.label("data-dir"), err)
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

// keyring reads the keys that gossip is encrypted with, nil for none, and tells
// the file that is to keep them. A keyring in the data directory rules over
// the key of -encrypt, which begins one: the keys may have been rotated since.
func (o *Options) keyring() (ring *memberlist.Keyring, path string, err error) {
	if o.KeyringFile != "" {
		if ring, err = readKeyring(o.KeyringFile); err != nil {
			return nil, "", fmt.Errorf("%s: %w", o.label("keyring-file"), err)
		}
		return ring, o.KeyringFile, nil
	}
	if o.DataDir != "" {
		path = filepath.Join(o.DataDir, keyringFile)
		ring, err = readKeyring(path)
		if err == nil {
			return ring, path, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, "", fmt.Errorf("%w; restore the file, or move it away and begin a new one with the cluster's key as -encrypt", err)
		}
	}
	if o.EncryptKey == "" {
		return nil, "", nil
	}
	key, err := base64.StdEncoding.DecodeString(o.EncryptKey)
	if err == nil {
		ring, err = memberlist.NewKeyring(nil, key)
	}
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", o.label("encrypt"), err)
	}
	return ring, path, nil
}

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

// journalLine says, for Check, where the journal is.
func (o *Options) journalLine() string {
	return fmt.Sprintf("%s; at most %d events or %v of history, and %d that wait for each target",
		cmp.Or(o.DataDir, "in memory"), o.JournalMaxEvents, o.JournalMaxAge, o.QueueMaxEvents)
}
