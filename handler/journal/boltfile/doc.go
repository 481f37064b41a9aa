// Package boltfile reads a bbolt file without trusting any of it.
//
// bbolt maps a file, and follows its page numbers and offsets unchecked. On a
// truncated file, or with one flipped bit, it can panic, or fault beyond any
// recover. So this package reads the file before bbolt sees it. It reads each page
// that the newest tree reaches, once, by bounded reads. It checks that every element
// is within its page, and that all keys are in order.
//
// The package hands out every key and value, and reports each fault on the way. It
// knows bbolt's format version 2, in the byte order of the machine. It writes
// nothing. A [File] belongs to one goroutine, and blocks as its reader does.
package boltfile
