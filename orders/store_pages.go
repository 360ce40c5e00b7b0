package orders

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// This file reads a bbolt file by itself, byte by byte and without mapping it, so that a damaged page is an error here
// before it is a panic, or an endless descent, in bbolt. The format is bbolt's: two meta pages, then pages of 16 bytes of
// header (id 8, flags 2, count 2, overflow 4) and elements of 16 bytes. Numbers are the machine's; we run on little
// endian ones.

// ErrDamaged is returned by Open for a file that is cut off or has changed on the disk. A backup has to be put back.
var ErrDamaged = errors.New("the database is damaged: stop the exchange, keep the file, and put the newest backup in its place (see contrib/docs/operator.md)")

const (
	pageHeader   = 16
	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10
	bucketLeaf   = 0x01
	noFreelist   = ^uint64(0)
)

// metaPage is what is needed of one; zero txid: not valid.
type metaPage struct {
	size                        int64
	root, freelist, pages, txid uint64
}

// pageFile is a file under inspection.
type pageFile struct {
	r     io.ReaderAt
	meta  metaPage
	seen  map[uint64]bool
	quick bool // leave the records to Check
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// readMeta finds the newest valid meta page.
func readMeta(r io.ReaderAt) (newest metaPage, err error) {
	for i := range int64(2) {
		if m, ok := metaAt(r, i); ok && m.txid >= newest.txid {
			newest = m
		}
	}
	if newest.size == 0 {
		return newest, damaged("neither of its two meta pages is valid")
	}
	return newest, nil
}

// metaAt reads one of the two meta pages. bbolt's page size is the system's.
func metaAt(r io.ReaderAt, i int64) (m metaPage, ok bool) {
	size := int64(os.Getpagesize())
	b := make([]byte, 80)
	if _, err := r.ReadAt(b, i*size); err != nil {
		return m, false
	}
	body, le := b[pageHeader:], binary.LittleEndian
	h := fnv.New64a()
	h.Write(body[:56])
	if le.Uint32(body) != 0xED0CDAED || le.Uint32(body[4:]) != 2 || h.Sum64() != le.Uint64(body[56:]) {
		return m, false
	}
	m = metaPage{int64(le.Uint32(body[8:])), le.Uint64(body[16:]), le.Uint64(body[32:]), le.Uint64(body[40:]), le.Uint64(body[48:])}
	return m, m.size == size
}

// inspect walks every page that is reachable, and of the pages of records it reads the head only. While another process writes to the file it would see things that are not
// there, so the meta page is read again at the end: one that has changed makes the result void (nil).
func inspect(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil || fi.Size() == 0 {
		return err
	}
	m, err := readMeta(f)
	if err == nil {
		p := &pageFile{r: f, meta: m, seen: map[uint64]bool{}, quick: true}
		err = p.walk(fi.Size())
	}
	if again, _ := readMeta(f); again.txid != m.txid {
		return nil
	}
	return err
}

// errNoMeta: two commits came since the transaction began, and its meta page is overwritten.
var errNoMeta = errors.New("the transaction's meta page is not there any more")

// inspectAt looks at the file as of one commit, while a read transaction on that commit keeps its pages from being used
// again.
func inspectAt(path string, txid uint64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	for i := range int64(2) {
		if m, ok := metaAt(f, i); ok && m.txid == txid {
			return (&pageFile{r: f, meta: m, seen: map[uint64]bool{}}).walk(fi.Size())
		}
	}
	if _, err := readMeta(f); err != nil {
		return err
	}
	return errNoMeta
}

func (p *pageFile) walk(size int64) error {
	switch {
	case p.meta.pages > uint64(size/p.meta.size):
		return damaged("it has %d bytes and should have %d pages of %d", size, p.meta.pages, p.meta.size)
	case p.meta.freelist == noFreelist:
		return damaged("it has no list of free pages")
	}
	if err := p.free(); err != nil {
		return err
	}
	return p.tree(p.meta.root, 0, true)
}

// header reads a page's header, judges it and claims its pages for one use.
func (p *pageFile) header(id uint64) (head []byte, flags, count uint16, size int64, err error) {
	if id < 2 || id >= p.meta.pages {
		return nil, 0, 0, 0, damaged("page %d is outside", id)
	}
	head = make([]byte, pageHeader)
	if _, err := p.r.ReadAt(head, int64(id)*p.meta.size); err != nil {
		return nil, 0, 0, 0, damaged("page %d: %v", id, err)
	}
	le := binary.LittleEndian
	over := uint64(le.Uint32(head[12:]))
	if le.Uint64(head) != id || id+over >= p.meta.pages {
		return nil, 0, 0, 0, damaged("page %d has the number %d and %d pages more", id, le.Uint64(head), over)
	}
	for i := id; i <= id+over; i++ {
		if p.seen[i] {
			return nil, 0, 0, 0, damaged("page %d is used twice", i)
		}
		p.seen[i] = true
	}
	return head, le.Uint16(head[8:]), le.Uint16(head[10:]), int64(1+over) * p.meta.size, nil
}

// free judges the list of free pages: each inside, none twice, and none in use.
func (p *pageFile) free() error {
	_, flags, count, size, err := p.header(p.meta.freelist)
	if err != nil {
		return err
	}
	page := make([]byte, size)
	if _, err := p.r.ReadAt(page, int64(p.meta.freelist)*p.meta.size); err != nil {
		return damaged("page %d: %v", p.meta.freelist, err)
	}
	ids, n := page[pageHeader:], uint64(count)
	if n == 0xFFFF {
		n, ids = binary.LittleEndian.Uint64(ids), ids[8:]
	}
	if flags != freelistPage || n > uint64(len(ids)/8) {
		return damaged("the list of free pages does not read")
	}
	for ; n > 0; n, ids = n-1, ids[8:] {
		id := binary.LittleEndian.Uint64(ids)
		if id < 2 || id >= p.meta.pages || p.seen[id] {
			return damaged("page %d cannot be free", id)
		}
		p.seen[id] = true
	}
	return nil
}

// maxDepth of a tree: each level has at least two children, and there are fewer than 2^48 pages.
const maxDepth = 48

// tree walks a tree of pages. Only the tree of buckets has buckets in its leaves.
func (p *pageFile) tree(id uint64, depth int, buckets bool) error {
	_, flags, count, size, err := p.header(id)
	if err != nil {
		return err
	}
	if depth > maxDepth || flags != branchPage && flags != leafPage || flags == branchPage && count == 0 {
		return damaged("page %d at depth %d has the type %x and %d elements", id, depth, flags, count)
	}
	if p.quick && flags == leafPage && !buckets {
		return nil
	}
	page := make([]byte, size)
	if _, err := p.r.ReadAt(page, int64(id)*p.meta.size); err != nil {
		return damaged("page %d: %v", id, err)
	}
	return p.elements(id, page, depth, flags, int(count), buckets)
}

func (p *pageFile) elements(id uint64, page []byte, depth int, flags uint16, count int, buckets bool) error {
	le := binary.LittleEndian
	var last []byte
	for i := range count {
		at := pageHeader + 16*i
		if at+16 > len(page) {
			return damaged("page %d has %d elements", id, count)
		}
		e := page[at:]
		var child uint64
		var pos, ksize, vsize uint64
		bucket := false
		if flags == branchPage {
			pos, ksize, child = uint64(le.Uint32(e)), uint64(le.Uint32(e[4:])), le.Uint64(e[8:])
		} else {
			pos, ksize, vsize = uint64(le.Uint32(e[4:])), uint64(le.Uint32(e[8:])), uint64(le.Uint32(e[12:]))
			bucket = le.Uint32(e) == bucketLeaf
			if le.Uint32(e) > bucketLeaf || bucket != buckets {
				return damaged("page %d, element %d is of type %x", id, i, le.Uint32(e))
			}
		}
		start := uint64(at) + pos
		if pos < 16*uint64(count-i) || start+ksize+vsize > uint64(len(page)) {
			return damaged("page %d, element %d reaches outside", id, i)
		}
		key := page[start : start+ksize]
		if i > 0 && string(key) <= string(last) {
			return damaged("page %d, element %d is not in order", id, i)
		}
		last = key
		var err error
		switch {
		case flags == branchPage:
			err = p.tree(child, depth+1, buckets)
		case bucket:
			err = p.bucket(id, page[start+ksize:start+ksize+vsize])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bucket walks a bucket: a root page, or, of a small one, the page itself behind the bucket's 16 bytes.
func (p *pageFile) bucket(id uint64, value []byte) error {
	if len(value) < 16 {
		return damaged("page %d has a bucket of %d bytes", id, len(value))
	}
	if root := binary.LittleEndian.Uint64(value); root != 0 {
		return p.tree(root, 0, false)
	}
	page := value[16:]
	if len(page) < pageHeader || binary.LittleEndian.Uint16(page[8:]) != leafPage {
		return damaged("page %d has a small bucket that does not read", id)
	}
	return p.elements(id, page, 0, leafPage, int(binary.LittleEndian.Uint16(page[10:])), false)
}
