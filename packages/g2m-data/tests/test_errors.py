from g2m_data.errors import InputError


def test_a_message_is_one_printable_line_whatever_a_damaged_file_puts_into_it():
    message = str(InputError("µ.h5: holds a gene 'A\nB\x00\x1b[31m\u2028'; copy it again"))
    assert message.isprintable()
    assert message.startswith("µ.h5: holds a gene 'A\\nB\\x00\\x1b[31m")


def test_of_a_long_message_the_middle_is_left_out():
    message = str(InputError("file.h5: " + "x" * 5000 + "; copy it again"))
    assert len(message) <= 1500
    assert message.startswith("file.h5: x")
    assert message.endswith("x; copy it again")
