// Package lyingfs mounts a file system that forgets at a crash what nobody synced, for
// tests of what survives a power cut. It works on Linux, for a root user that may mount.
//
// Programs see each change at once. [FS.Crash] then leaves what a disk may have after
// the power failed at that moment, and the programs that start next see only that. It
// is as cruel as POSIX allows:
//
//   - The bytes and the size of a file survive once the file is synced, by any program.
//   - A name survives once its directory is synced, and not by a sync of the file. So a
//     file that was made, synced and never named to the disk is gone. A removed name is
//     back, and a renamed file has its old name.
//   - A directory is a name in the directory above it, so the rule holds for each level.
//   - A name may survive without the bytes: the file is as it was at its last sync, or
//     empty.
//   - A sync takes effect at its end. If the crash comes first, nothing of it is kept.
//
// A disk may also have written more than it was asked to. So Crash takes the chance that
// a change survives by itself. It decides for each unsynced page of 4 KiB, so that a
// write of several pages can be torn anywhere. It decides for the size: a file can end
// in zeros that nobody wrote. Of the unsynced changes of a directory's names the first
// ones survive, as in the log of a file system, and each rename as a whole.
//
// It is less cruel than a disk can be in four points. A page is never torn itself. Synced
// bytes never rot. Modes are kept at once. A name cannot move to another directory,
// nor have a second one: both fail, since nothing that is tested does that.
//
// # What lives where
//
// Everything is in memory, what was synced too: a synced file without a synced name has
// no place in a folder. After a crash each file is a new one to the kernel, with a number
// that no file had before. So the kernel has no page, name or size of it in its caches,
// as if the file system was mounted anew. A program that was not killed goes on with the
// files from before the crash, and nothing it does there has any effect.
package lyingfs
