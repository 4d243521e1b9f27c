package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
)

// maxIdle is how many prepared statements a connection keeps.
const maxIdle = 200

// connector opens connections that keep their prepared statements: preparing costs more than most statements do.
type connector struct{ driver.Connector }

// Connect opens a connection.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	full, ok := inner.(fullConn)
	if !ok {
		_ = inner.Close()
		return nil, fmt.Errorf("the SQLite driver's %T lacks a method", inner)
	}
	return &conn{fullConn: full, idle: make(map[string][]statement)}, nil
}

// fullConn is what the driver's connections can do and database/sql makes use of.
type fullConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// statement is what the driver's statements can do.
type statement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// conn keeps the statements that are not in use, by their text. A text that runs within itself has two.
type conn struct {
	fullConn
	idle  map[string][]statement
	nIdle int
}

// ExecContext runs a statement that was prepared before, or prepares it.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	defer c.keep(query, s)
	return s.ExecContext(ctx, args)
}

// QueryContext runs a query that was prepared before, or prepares it.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	r, err := s.QueryContext(ctx, args)
	if err != nil {
		c.keep(query, s)
		return nil, err
	}
	return &rows{Rows: r, conn: c, query: query, statement: s}, nil
}

func (c *conn) statement(ctx context.Context, query string) (statement, error) {
	if idle := c.idle[query]; len(idle) > 0 {
		s := idle[len(idle)-1]
		c.idle[query] = idle[:len(idle)-1]
		c.nIdle--
		return s, nil
	}
	prepared, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	s, ok := prepared.(statement)
	if !ok {
		_ = prepared.Close()
		return nil, fmt.Errorf("the SQLite driver's %T lacks a method", prepared)
	}
	return s, nil
}

// keep puts a statement back for the next time, at the cost of some other one when there are many.
func (c *conn) keep(query string, s statement) {
	if c.idle == nil { // closed
		_ = s.Close()
		return
	}
	for other, idle := range c.idle {
		if c.nIdle < maxIdle {
			break
		}
		for _, o := range idle {
			_ = o.Close()
		}
		c.nIdle -= len(idle)
		delete(c.idle, other)
	}
	c.idle[query] = append(c.idle[query], s)
	c.nIdle++
}

// Close closes the statements and the connection.
func (c *conn) Close() error {
	for _, idle := range c.idle {
		for _, s := range idle {
			_ = s.Close()
		}
	}
	c.idle, c.nIdle = nil, 0
	return c.fullConn.Close()
}

// rows gives its statement back when it is closed.
type rows struct {
	driver.Rows
	conn      *conn
	query     string
	statement statement
}

// Close ends the query.
func (r *rows) Close() error {
	err := r.Rows.Close()
	if r.statement != nil {
		r.conn.keep(r.query, r.statement)
		r.statement = nil
	}
	return err
}
