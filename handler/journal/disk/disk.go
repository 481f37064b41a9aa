package disk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"agentctl/handler/journal"
)

// journalFile is the name of the journal within its directory.
const journalFile = "journal.db"

// Config says where a journal is kept, and how.
type Config struct {
	Dir     string // made with mode 0700 if it does not exist
	Limits  journal.Config
	Logger  *slog.Logger          // nil: nothing is logged
	Metrics prometheus.Registerer // nil: nothing is counted

	// The journal is degraded if more events, or bytes of them, than these wait
	// for the disk. Defaults 10,000 and 16 MiB; other values are for tests.
	maxUnwritten      int
	maxUnwrittenBytes int

	// CloseTimeout is how long Close waits for a disk that hangs. Default 10 s.
	CloseTimeout time.Duration

	NoSync bool              // for tests: the file is not forced to the disk
	wrap   func(store) store // for tests
}

// Disk is a journal that is kept in a file. Its own goroutine writes, some
// milliseconds after each change.
type Disk struct {
	*journal.Journal // does everything but to write

	cfg   Config
	file  *journal.File
	log   *slog.Logger
	lock  *os.File
	begun bool
	store store

	quit   chan struct{}
	hurry  chan struct{} // holds a value when a Sync waits
	done   chan error    // gets the error of the last commit, or nil
	ending sync.Once
	err    error // of Close

	mu    sync.Mutex
	state fileState
}

// Open opens the journal in a directory, or begins one, and starts to write; Close
// ends that. The error is an *InUseError if another process has the directory, and a
// *CorruptError if the file is damaged.
//
// It reads and checks the whole file. For 100,000 events that takes some tenths of a
// second.
func Open(cfg Config) (*Disk, error) {
	cfg.maxUnwritten = cmp.Or(max(cfg.maxUnwritten, 0), 10_000)
	cfg.maxUnwrittenBytes = cmp.Or(max(cfg.maxUnwrittenBytes, 0), 16<<20)
	cfg.CloseTimeout = cmp.Or(max(cfg.CloseTimeout, 0), 10*time.Second)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if open, err := openToOthers(cfg.Dir); err == nil && open {
		cfg.Logger.Warn("every user of this machine may write to the data directory, and so replace its files: run chmod 700 on it", "data_dir", cfg.Dir)
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	d, err := openDisk(cfg, lock)
	if err != nil {
		return nil, errors.Join(err, unlockDir(lock))
	}
	go d.run()
	return d, nil
}

func openDisk(cfg Config, lock *os.File) (*Disk, error) {
	path := filepath.Join(cfg.Dir, journalFile)
	_, err := os.Lstat(path)
	begun := errors.Is(err, os.ErrNotExist)
	if begun {
		if err := createBolt(path, cfg.NoSync); err != nil {
			return nil, fmt.Errorf("new journal %s: %w", path, err)
		}
	}
	c, _, err := readFile(path)
	if err != nil {
		return nil, err
	}
	if c.version != nil {
		return nil, fmt.Errorf("journal %s: %w", path, c.version)
	}
	if len(c.problems) > 0 {
		return nil, &CorruptError{path, c.problems}
	}
	if c.torn {
		cfg.Logger.Warn("the journal's last commit was not finished or is damaged: going on from the one before", "path", path)
	}
	d := &Disk{
		cfg:   cfg,
		log:   cfg.Logger.With("journal", path),
		lock:  lock,
		begun: begun,
		quit:  make(chan struct{}),
		hurry: make(chan struct{}, 1),
		done:  make(chan error, 1),
	}
	d.Journal, d.file = journal.Restore(cfg.Limits, &c.State, journal.FileConfig{
		MaxUnwritten: cfg.maxUnwritten, MaxUnwrittenBytes: cfg.maxUnwrittenBytes, Close: d.Close,
	})
	d.state = fileState{header: c.Header, progress: make(chan struct{})}
	if d.store, err = openStore(path, cfg.NoSync); err != nil {
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	if cfg.wrap != nil {
		d.store = cfg.wrap(d.store)
	}
	if cfg.Metrics != nil {
		if err := cfg.Metrics.Register(collector{d}); err != nil {
			return nil, errors.Join(fmt.Errorf("journal metrics: %w", err), d.store.close())
		}
	}
	return d, nil
}

// Begun tells whether Open made a new journal, because there was none.
func (d *Disk) Begun() bool { return d.begun }

// Abandon lets no commit begin any more, for a process that is about to exit without
// Close, as after a kill. It waits for a commit that is under way, at most until ctx
// ends. The kernel lets no process end in the middle of a sync, so one that was begun
// too late would hold up the exit. A later Close frees the file as it is.
func (d *Disk) Abandon(ctx context.Context) {
	d.mu.Lock()
	d.state.abandoned = true
	over := d.state.over
	d.mu.Unlock()
	if over != nil {
		select {
		case <-over:
		case <-ctx.Done():
		}
	}
}

// Close writes the rest, and gives up the lock of the directory. Readers that wait get
// journal.ErrClosed. If the disk does not take the rest, the error says how many
// events are not in the file. It waits for a disk that hangs for CloseTimeout. Each
// further call returns the same error.
func (d *Disk) Close() error {
	d.ending.Do(func() {
		d.file.End()
		close(d.quit)
		select {
		case d.err = <-d.done:
			d.file.Drop()
		case <-time.After(d.cfg.CloseTimeout): // a commit may still come, so the memory stays
			d.err = fmt.Errorf("journal %s: the disk does not answer: %d events are not written", d.cfg.Dir, d.Status().Unwritten)
		}
		if d.err != nil {
			d.log.Error("the journal was not written to its end: the events that it lacks are lost to this node, unless another sends them again", "error", d.err)
		}
		if d.cfg.Metrics != nil {
			d.cfg.Metrics.Unregister(collector{d})
		}
	})
	return d.err
}
