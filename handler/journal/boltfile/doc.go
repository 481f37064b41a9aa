// Package boltfile reads a bbolt file without trusting any of it.
//
// bbolt maps a file, and follows its page numbers and offsets unchecked. On a file
// that is cut off, or has one bit flipped, it can panic, or fault where no recover
// helps. So this package reads the file before bbolt gets to see it. It reads each
// page that the newest tree reaches, once, by bounded reads. Every element has to be
// within its page, and all keys in order. It hands out every key and value, and
// reports each fault that it finds on the way.
//
// It knows bbolt's format version 2, in the byte order of the machine. It writes
// nothing. A [File] belongs to one goroutine, and blocks as its reader does.
package boltfile
