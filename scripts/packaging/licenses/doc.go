// Licenses prints the licences of all that is compiled into the program: its own, that
// of Go, and those of its modules, each with its text and the module's version. It runs
// in the folder of the source, and the packages and the image hold what it prints.
//
// It fails if a module has no licence, or one whose terms nobody has looked at yet. So a
// release cannot contain such a module.
package main
