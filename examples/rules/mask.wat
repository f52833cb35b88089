;; Masks the text of every field "pin": each byte of it becomes a star.
;;
;;   wat2wasm mask.wat -o mask.wasm
(module
  (memory (export "memory") 1)
  (data (i32.const 0) "\"pin\"")

  ;; The event stands behind what is looked for, and is changed in its place.
  (func (export "allocate") (param $bytes i32) (result i32)
    (drop (memory.grow (i32.add (i32.shr_u (local.get $bytes) (i32.const 16)) (i32.const 1))))
    (i32.const 16))

  ;; Whether what is looked for stands there.
  (func $is_pin (param $place i32) (result i32)
    (local $i i32)
    (loop $next
      (if (i32.ne
            (i32.load8_u (local.get $i))
            (i32.load8_u (i32.add (local.get $place) (local.get $i))))
        (then (return (i32.const 0))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 5))))
    (i32.const 1))

  ;; Behind the colon and what is blank around it.
  (func $value (param $place i32) (result i32)
    (local $byte i32)
    (loop $next
      (local.set $byte (i32.load8_u (local.get $place)))
      (if (i32.or (i32.le_u (local.get $byte) (i32.const 32)) (i32.eq (local.get $byte) (i32.const 58)))
        (then
          (local.set $place (i32.add (local.get $place) (i32.const 1)))
          (br $next))))
    (local.get $place))

  ;; Masks a text from behind its first quotation mark; gives the place of its last.
  (func $mask (param $place i32) (result i32)
    (local $byte i32)
    (loop $next
      (local.set $byte (i32.load8_u (local.get $place)))
      (if (i32.ne (local.get $byte) (i32.const 34))
        (then
          (i32.store8 (local.get $place) (i32.const 42))
          (local.set $place (i32.add (local.get $place) (i32.const 1)))
          ;; What a backslash escapes is no end.
          (if (i32.eq (local.get $byte) (i32.const 92))
            (then
              (i32.store8 (local.get $place) (i32.const 42))
              (local.set $place (i32.add (local.get $place) (i32.const 1)))))
          (br $next))))
    (local.get $place))

  ;; What it is given is JSON, so that every text has an end.
  (func (export "transform") (param $event i32) (param $bytes i32) (result i64)
    (local $end i32) (local $place i32)
    (local.set $end (i32.add (local.get $event) (local.get $bytes)))
    (local.set $place (local.get $event))
    (loop $next
      (if (call $is_pin (local.get $place))
        (then
          (local.set $place (call $value (i32.add (local.get $place) (i32.const 5))))
          (if (i32.eq (i32.load8_u (local.get $place)) (i32.const 34))
            (then (local.set $place (call $mask (i32.add (local.get $place) (i32.const 1))))))))
      (local.set $place (i32.add (local.get $place) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $place) (local.get $end))))
    (i64.or
      (i64.shl (i64.extend_i32_u (local.get $event)) (i64.const 32))
      (i64.extend_i32_u (local.get $bytes)))))
