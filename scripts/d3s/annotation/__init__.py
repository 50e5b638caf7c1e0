"""What people say of images: campaigns that ask them, files of their votes, and decisions made of these.

Two questions are asked, as in the paper (section 3, verification): is an object of the class in the image, and does it
hold adult or violent content. Whether the background is right is asked beside them.
"""
