package sqlite

import (
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// Every connection of this process keeps the plan of a prepared statement, whatever it is called with. Otherwise SQLite
// prepares again each statement that compares a column with a parameter whenever it gets another value, in case a better plan
// is to be had, and FTS5 does so for every word that it looks up. The driver has no parameter for this setting, so it is made
// where SQLite lets extensions start.
//
// https://sqlite.org/c3ref/c_dbconfig_defensive.html#sqlitedbconfigenableqpsg
func init() {
	tls := libc.NewTLS()
	defer tls.Close()
	start := func(tls *libc.TLS, db, _, _ uintptr) int32 {
		const two = 16 // bytes of two arguments
		args := libc.Xmalloc(tls, two)
		if args == 0 {
			return lib.SQLITE_NOMEM
		}
		defer libc.Xfree(tls, args)
		return lib.Xsqlite3_db_config(tls, db, lib.SQLITE_DBCONFIG_ENABLE_QPSG, libc.VaList(args, int32(1), uintptr(0)))
	}
	// A function for SQLite is the address of a Go function's value.
	if code := lib.Xsqlite3_auto_extension(tls, *(*uintptr)(unsafe.Pointer(&start))); code != lib.SQLITE_OK { // #nosec G103
		panic("sqlite: keep plans: " + libc.GoString(lib.Xsqlite3_errstr(tls, code)))
	}
}
