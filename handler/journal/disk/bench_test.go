package disk

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"agentctl/handler"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

// Each batch is committed before the next comes: what the disk takes.
var diskPayload = bytes.Repeat([]byte("x"), 300)

func BenchmarkDiskAppend(b *testing.B) {
	for _, size := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprint("batch=", size), func(b *testing.B) {
			d := openDir(b, Config{Dir: b.TempDir()})
			batch := make([]handler.Event, size)
			next := uint64(0)
			for b.Loop() {
				for i := range batch {
					next++
					batch[i] = handler.NewUser(next, "kong", diskPayload, time.Now())
				}
				journals.MustAppend(b, d.Journal, batch...)
				testkit.MustSync(b, d)
			}
			b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// What Append itself takes while the writer works behind it.
func BenchmarkDiskAppendUnsynced(b *testing.B) {
	d := openDir(b, Config{Dir: b.TempDir()})
	next := uint64(0)
	for b.Loop() {
		next++
		d.Append(handler.NewUser(next, "kong", diskPayload, time.Now()))
	}
}

// waitingDir is a journal with 100,000 events of 300 bytes that wait for two
// targets.
func waitingDir(b *testing.B) string {
	dir := b.TempDir()
	d := openDir(b, Config{Dir: dir})
	journals.OpenCursor(b, d.Journal, "a")
	journals.OpenCursor(b, d.Journal, "b")
	for i := range uint64(100_000) {
		journals.MustAppend(b, d.Journal, handler.NewUser(i, "kong", diskPayload, time.Now()))
		if i%1000 == 0 {
			testkit.MustSync(b, d)
		}
	}
	testkit.MustClose(b, d)
	return dir
}

func BenchmarkDiskRecovery(b *testing.B) {
	dir := waitingDir(b)
	info, err := os.Stat(filepath.Join(dir, journalFile))
	if err != nil {
		b.Fatal(err)
	}
	var check time.Duration
	b.ResetTimer()
	for b.Loop() {
		d, err := Open(Config{Dir: dir})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		testkit.Want(b, "waiting", journals.OpenCursor(b, d.Journal, "a").Status().Waiting, 100_000)
		testkit.MustClose(b, d)
		start := time.Now()
		if _, _, err := readFile(filepath.Join(dir, journalFile)); err != nil {
			b.Fatal(err)
		}
		check += time.Since(start)
		b.StartTimer()
	}
	b.ReportMetric(check.Seconds()*1000/float64(b.N), "check-ms")
	b.ReportMetric(float64(info.Size())/1e6, "file-MB")
}

func BenchmarkDiskWaiting(b *testing.B) {
	heap := func() float64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return float64(s.HeapAlloc)
	}
	dir := waitingDir(b)
	for b.Loop() {
		before := heap()
		d := openDir(b, Config{Dir: dir})
		b.ReportMetric((heap()-before)/1e6, "MB")
		testkit.MustClose(b, d)
		runtime.KeepAlive(d)
	}
}
